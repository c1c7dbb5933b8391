// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package config

import "strings"

// meaningless are keys of Flink, or their beginnings, that a configuration may have and that mean nothing here: they
// concern the JVM, its network stack, or parts that work in another way.
var meaningless = []string{
	"akka.", "blob.", "classloader.", "containerized.", "env.", "execution.batch", "execution.runtime-mode",
	"execution.sorted-inputs", "fs.", "high-availability.type", "high-availability.zookeeper", "high-availability.kubernetes",
	"historyserver.", "io.tmp.dirs", "jmx.", "jobmanager.adaptive", "jobmanager.archive", "jobmanager.execution",
	"jobmanager.memory.", "jobmanager.resource-id", "jobmanager.retrieve-taskmanager-hostname", "jobmanager.scheduler",
	"kubernetes.", "memory.", "metrics.", "parallelism.adaptive", "pekko.", "pipeline.auto-generate-uids",
	"pipeline.classpaths", "pipeline.jars", "pipeline.force-", "pipeline.generic-types", "pipeline.registered-",
	"pipeline.serialization-config", "pipeline.vertex-", "plugin.", "process.", "python.", "queryable-state.",
	"rest.async", "rest.await-leader-timeout", "rest.bind-port", "rest.cache", "rest.client", "rest.connection-timeout",
	"rest.flamegraph", "rest.idleness-timeout", "rest.profiling", "rest.retry", "rest.server.numThreads", "s3.",
	"scheduler-mode", "security.kerberos", "security.delegation", "security.ssl.algorithms", "security.ssl.protocol",
	"security.ssl.provider", "slot.idle.timeout", "sql.", "state.backend", "state.checkpoint-storage", "state.latency",
	"state.storage", "table.", "taskmanager.debug", "taskmanager.jvm", "taskmanager.log", "taskmanager.memory.",
	"taskmanager.network", "taskmanager.registration", "taskmanager.rpc", "web.", "yarn.", "zookeeper.",
}

// meansNothing tells whether a key is Flink's and has no meaning here.
func meansNothing(key string) bool {
	for _, prefix := range meaningless {
		if key == strings.TrimSuffix(prefix, ".") || strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}
