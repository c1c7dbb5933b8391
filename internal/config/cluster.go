// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package config

import "slices"

// Keys of the cluster's options, for those who read them.
const (
	DataDir                = "data.dir"
	ClusterID              = "high-availability.cluster-id"
	HADir                  = "high-availability.storageDir"
	Heartbeat              = "heartbeat.interval"
	HeartbeatTimeout       = "heartbeat.timeout"
	OrphanTimeout          = "cluster.orphan-timeout"
	RPCAddress             = "jobmanager.rpc.address"
	RPCPort                = "jobmanager.rpc.port"
	RPCBindHost            = "jobmanager.bind-host"
	JobMasterMemory        = "jobmanager.jobmaster.memory.size"
	JobStoreExpiration     = "jobstore.expiration-time"
	JobStoreCapacity       = "jobstore.max-capacity"
	SlotRequestTimeout     = "slot.request.timeout"
	SlotsMax               = "slotmanager.number-of-slots.max"
	TaskManagerIdleTimeout = "resourcemanager.taskmanager-timeout"
	RESTAddress            = "rest.address"
	RESTPort               = "rest.port"
	RESTBindAddress        = "rest.bind-address"
	RESTInsecureBind       = "rest.insecure-bind"
	RESTTokenFile          = "rest.token-file"
	RESTToken              = "rest.token"
	RESTAllowedHosts       = "rest.allowed-hosts"
	RESTAllowedOrigins     = "rest.allowed-origins"
	RESTWebDir             = "rest.web-dir"
	RESTUploadMax          = "rest.server.max-content-length"
	WebSubmit              = "web.submit.enable"
	WebCancel              = "web.cancel.enable"
	WebRefresh             = "web.refresh-interval"
	TaskManagerSlots       = "taskmanager.numberOfTaskSlots"
	TaskManagerHost        = "taskmanager.host"
	TaskManagerBindHost    = "taskmanager.bind-host"
	TaskManagerDataPort    = "taskmanager.data.port"
	TaskManagerMemory      = "taskmanager.memory.process.size"
	TaskManagerResourceID  = "taskmanager.resource-id"
	TaskCancelTimeout      = "task.cancellation.timeout"
	DescribeTimeout        = "client.timeout"
	CertificatesDir        = "security.ssl.dir"
	RESTSSL                = "security.ssl.rest.enabled"
	InternalSSL            = "security.ssl.internal.enabled"
	MetricsPort            = "metrics.reporter.prom.port"
	MetricsHost            = "metrics.reporter.prom.host"
	LogLevel               = "log.level"
	LogFormat              = "log.format"
	CheckpointDir          = "execution.checkpointing.dir"
	SavepointDir           = "execution.checkpointing.savepoint-dir"
	ClusterTaskManagers    = "cluster.taskmanagers"
	ClusterTaskManagersMax = "cluster.taskmanagers.max"
	ClusterTarget          = "execution.target"
)

// Cluster lists the options of JobManagers, TaskManagers and clients, by key.
func Cluster() []Option {
	all := slices.Concat(common(), ofJobManager(), ofREST(), ofTaskManager())
	slices.SortFunc(all, func(a, b Option) int { return compareKeys(a.Key, b.Key) })
	return all
}

func common() []Option {
	return []Option{
		{Key: DataDir, Default: ".weir", Doc: "Directory of the cluster: its jobs, programs, checkpoints and logs. One cluster uses it at a time."},
		{Key: ClusterID, Default: "default", Doc: "Name of the cluster among those that share a directory of leader records."},
		{Key: HADir, Doc: "Shared directory of leader records and of the job store, where several JobManagers stand by for one cluster; below the data directory unless it is set."},
		{Key: Heartbeat, Kind: Duration, Default: "1 s", Doc: "Time between two heartbeats of the parts of a cluster."},
		{Key: HeartbeatTimeout, Kind: Duration, Default: "5 s", Doc: "A part that was silent for so long counts as lost, where its connection has not told so before."},
		{Key: OrphanTimeout, Kind: Duration, Default: "5 min", Doc: "How long TaskManagers keep tasks running while there is no JobManager."},
		{Key: CertificatesDir, Doc: "Directory of certificates, as `weir certs init` makes them."},
		{Key: InternalSSL, Kind: Bool, Default: "false", Doc: "Mutual TLS among JobManager, TaskManagers and executors, with the certificates of security.ssl.dir."},
		{Key: LogLevel, Default: "info", OneOf: []string{"debug", "info", "warn", "error"}, Doc: "Least level that is logged."},
		{Key: LogFormat, Default: "text", OneOf: []string{"text", "json"}, Doc: "Form of log lines."},
		{Key: ClusterTarget, Scope: Client, Default: "session", OneOf: []string{"session", "job", "application"}, Doc: "Where `weir run` runs a job: on a session cluster, or on a cluster of its own."},
		{Key: DescribeTimeout, Kind: Duration, Default: "1 min", Doc: "How long a program may take to describe its jobs."},
	}
}

func ofJobManager() []Option {
	return []Option{
		{Key: RPCAddress, Default: "localhost", Doc: "Host of the JobManager for TaskManagers; a list of host:port where several stand by."},
		{Key: RPCPort, Kind: Int, Default: "6123", Doc: "Port of the JobManager for TaskManagers; 0 takes a free one."},
		{Key: RPCBindHost, Scope: JobManager, Default: "localhost", Doc: "Address that the JobManager listens on for TaskManagers. Others than loopback need security.ssl.internal.enabled."},
		{Key: JobMasterMemory, Scope: JobManager, Kind: Memory, Default: "512mb", Doc: "Memory limit of each JobMaster process."},
		{Key: JobStoreExpiration, Scope: JobManager, Kind: Duration, Default: "1 h", Doc: "How long ended jobs are remembered."},
		{Key: JobStoreCapacity, Scope: JobManager, Kind: Int, Default: "1000", Doc: "How many ended jobs are remembered at most."},
		{Key: SlotRequestTimeout, Scope: JobManager, Kind: Duration, Default: "5 min", Doc: "How long a job waits for slots before it fails."},
		{Key: SlotsMax, Scope: JobManager, Kind: Int, Default: "0", Doc: "Limit of slots for which TaskManagers are started on demand; 0 for that of cluster.taskmanagers.max."},
		{Key: TaskManagerIdleTimeout, Scope: JobManager, Kind: Duration, Default: "30 s", Doc: "A TaskManager that was started on demand is given back when it was idle for so long."},
		{Key: ClusterTaskManagers, Scope: JobManager, Kind: Int, Default: "1", Doc: "TaskManagers that `weir cluster up` starts at once and keeps."},
		{Key: ClusterTaskManagersMax, Scope: JobManager, Kind: Int, Default: "0", Doc: "TaskManagers that are started at most, on demand; 0 for no more than those that are kept."},
		{Key: TaskCancelTimeout, Kind: Duration, Default: "30 s", Doc: "How long a task may take to end once it is canceled; then its executor is killed."},
	}
}

func ofREST() []Option {
	return []Option{
		{Key: RESTAddress, Default: "localhost", Doc: "Host of the REST API for clients."},
		{Key: RESTPort, Kind: Int, Default: "8081", Doc: "Port of the REST API; 0 takes a free one."},
		{Key: RESTBindAddress, Scope: JobManager, Default: "localhost", Doc: "Address that the REST API listens on. Others than loopback need tokens and TLS, or rest.insecure-bind."},
		{Key: RESTInsecureBind, Scope: JobManager, Kind: Bool, Default: "false", Doc: "Serve the REST API on any address without tokens or TLS: whoever reaches it runs programs here."},
		{Key: RESTTokenFile, Scope: JobManager, Doc: "File of tokens that the REST API accepts, one line each: role (read-only, operator or admin) and token."},
		{Key: RESTToken, Scope: Client, Secret: true, Doc: "Token that the client shows to the REST API."},
		{Key: RESTAllowedHosts, Scope: JobManager, Kind: List, Doc: "Further names under which the REST API may be addressed."},
		{Key: RESTAllowedOrigins, Scope: JobManager, Kind: List, Doc: "Origins of web pages, beside its own, that may use the REST API."},
		{Key: RESTWebDir, Scope: JobManager, Doc: "Directory of a dashboard's files, served under /."},
		{Key: RESTUploadMax, Scope: JobManager, Kind: Memory, Default: "512mb", Doc: "Largest program that may be uploaded."},
		{Key: RESTSSL, Kind: Bool, Default: "false", Doc: "TLS for the REST API, with the certificates of security.ssl.dir."},
		{Key: WebSubmit, Scope: JobManager, Kind: Bool, Default: "true", Doc: "Whether programs may be uploaded and run by REST."},
		{Key: WebCancel, Scope: JobManager, Kind: Bool, Default: "true", Doc: "Whether dashboards offer to cancel jobs."},
		{Key: WebRefresh, Scope: JobManager, Kind: Duration, Default: "3 s", Doc: "How often dashboards refresh."},
	}
}

func ofTaskManager() []Option {
	return []Option{
		{Key: TaskManagerSlots, Scope: TaskManager, Kind: Int, Default: "1", Doc: "Slots of a TaskManager."},
		{Key: TaskManagerHost, Scope: TaskManager, Default: "localhost", Doc: "Host under which other TaskManagers reach this one."},
		{Key: TaskManagerBindHost, Scope: TaskManager, Default: "localhost", Doc: "Address that executors listen on for records. Others than loopback need security.ssl.internal.enabled."},
		{Key: TaskManagerDataPort, Scope: TaskManager, Kind: Int, Default: "0", Doc: "First port on which executors listen for records; 0 takes free ones."},
		{Key: TaskManagerMemory, Scope: TaskManager, Kind: Memory, Default: "1gb", Doc: "Memory of a TaskManager with all its executors; each slot has an equal share."},
		{Key: MetricsPort, Scope: TaskManager, Doc: "Port on which each TaskManager serves /metrics for Prometheus, or ports of which it takes the first that is free, as 9249-9260; not served unless set. The JobManager serves them on rest.port.", Check: func(text string) error {
			_, err := ParsePorts(text)
			return err
		}},
		{Key: MetricsHost, Scope: TaskManager, Default: "localhost", Doc: "Address that metrics.reporter.prom.port is opened on. Whoever reaches it reads the metrics."},
		{Key: TaskManagerResourceID, Scope: TaskManager, Doc: "Name of the TaskManager; made from host and process unless it is set."},
	}
}
