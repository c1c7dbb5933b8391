// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Enumeration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.client.program.rest.RestClusterClient;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.RestOptions;
import org.apache.flink.core.execution.CheckpointType;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.runtime.messages.webmonitor.MultipleJobsDetails;
import org.apache.flink.runtime.rest.FileUpload;
import org.apache.flink.runtime.rest.HttpMethodWrapper;
import org.apache.flink.runtime.rest.RestClient;
import org.apache.flink.runtime.rest.handler.async.AsynchronousOperationResult;
import org.apache.flink.runtime.rest.handler.async.TriggerResponse;
import org.apache.flink.runtime.rest.messages.*;
import org.apache.flink.runtime.rest.messages.checkpoints.*;
import org.apache.flink.runtime.rest.messages.job.*;
import org.apache.flink.runtime.rest.messages.job.metrics.*;
import org.apache.flink.runtime.rest.messages.job.savepoints.*;
import org.apache.flink.runtime.rest.messages.job.savepoints.stop.*;
import org.apache.flink.runtime.rest.messages.taskmanager.*;
import org.apache.flink.runtime.rest.util.RestClientException;
import org.apache.flink.runtime.rest.util.RestConstants;
import org.apache.flink.runtime.webmonitor.handlers.*;

/**
 * Calls the REST API as Flink's Kubernetes operator and its autoscaler do, with the classes that Flink sends and decodes
 * messages with: first every question that those classes know, then what the operator steers with. It prints a line for
 * each: a name, a tab, and what is wrong, if something is.
 *
 * <p>Arguments: host, port, the id of a job that runs, a job program, a directory for savepoints.
 */
public final class Calls {
    /** What an installation without the feature answers, and Flink with it off answers, too. */
    private static final Map<String, Integer> REFUSED = Map.ofEntries(
            Map.entry("JobRescaleConfigHeaders", 404), Map.entry("JobRescaleDetailsHeaders", 404),
            Map.entry("JobRescalesHistoryHeaders", 404), Map.entry("JobRescalesOverviewHeaders", 404),
            Map.entry("JobRescalesSummaryHeaders", 404), Map.entry("JobManagerProfilingListHeaders", 404),
            Map.entry("TaskManagerProfilingListHeaders", 404), Map.entry("JobResourceRequirementsHeaders", 500));

    /** Questions about what is not there yet; the steering asks them. */
    private static final List<String> LATER = List.of(
            "SavepointStatusHeaders", "SavepointDisposalStatusHeaders", "CheckpointStatusHeaders",
            "RescalingStatusHeaders", "ClusterDataSetDeleteStatusHeaders", "JarPlanGetHeaders",
            "YarnCancelJobTerminationHeaders", "YarnStopJobTerminationHeaders");

    private final String host;
    private final int port;
    private final JobID job;
    private final Path program;
    private final String savepoints;
    private final RestClient client;
    private final Map<String, String> path = new TreeMap<>();

    private Calls(String[] args, ExecutorService executor) throws Exception {
        host = args[0];
        port = Integer.parseInt(args[1]);
        job = JobID.fromHexString(args[2]);
        program = Path.of(args[3]);
        savepoints = args[4] + "/operator";
        client = new RestClient(new Configuration(), executor);
    }

    public static void main(String[] args) throws Exception {
        ExecutorService executor = Executors.newFixedThreadPool(4);
        Calls calls = new Calls(args, executor);
        calls.look();
        calls.questions();
        calls.metrics();
        calls.steer();
        calls.programs();
        System.out.flush();
        System.exit(0); // the threads of the client are no daemons
    }

    private interface Check<T> {
        String wrong(T answer) throws Exception;
    }

    private static <T> T report(String name, Callable<T> call, Check<T> check) {
        T answer = null;
        String wrong;
        try {
            answer = call.call();
            wrong = check.wrong(answer);
        } catch (Throwable t) {
            Throwable cause = t;
            while (cause.getCause() != null) {
                cause = cause.getCause();
            }
            wrong = String.valueOf(cause).replace('\n', ' ').replace('\t', ' ');
        }
        System.out.println(name + "\t" + wrong);
        return answer;
    }

    private static String isTrue(boolean right, Object answer) {
        return right ? "" : "unexpected answer: " + answer;
    }

    private static <T> T get(CompletableFuture<T> answer) throws Exception {
        return answer.get(60, TimeUnit.SECONDS);
    }

    private <R extends RequestBody, P extends ResponseBody, M extends MessageParameters> P send(
            MessageHeaders<R, P, M> headers, M parameters, R body) throws Exception {
        return get(client.sendRequest(host, port, headers, parameters, body));
    }

    /** Finds what the paths of the questions are made of. */
    private void look() throws Exception {
        JobMessageParameters ofJob = JobDetailsHeaders.getInstance().getUnresolvedMessageParameters();
        ofJob.jobPathParameter.resolve(job);
        JobDetailsInfo details = report("job details", () -> send(JobDetailsHeaders.getInstance(), ofJob, EmptyRequestBody.getInstance()),
                d -> isTrue(d.getJobStatus() == JobStatus.RUNNING && !d.getJobVertexInfos().isEmpty() && d.getPlan() != null, d));
        path.put("jobid", job.toString());
        path.put("applicationid", job.toString());
        path.put("vertexid", details.getJobVertexInfos().iterator().next().getJobVertexID().toString());
        path.put("subtaskindex", "0");
        path.put("attempt", "0");
        TaskManagersInfo workers = report("TaskManagers",
                () -> send(TaskManagersHeaders.getInstance(), EmptyMessageParameters.getInstance(), EmptyRequestBody.getInstance()),
                w -> isTrue(w.getTaskManagerInfos().size() == 2, w));
        path.put("taskmanagerid", workers.getTaskManagerInfos().iterator().next().getResourceId().toString());
        CheckpointingStatistics checkpoints = report("checkpoints of the job", () -> {
            CheckpointingStatisticsHeaders h = CheckpointingStatisticsHeaders.getInstance();
            JobMessageParameters p = h.getUnresolvedMessageParameters();
            p.jobPathParameter.resolve(job);
            return send(h, p, EmptyRequestBody.getInstance());
        }, c -> isTrue(c.getLatestCheckpoints().getCompletedCheckpointStatistics().getExternalPath() != null, c));
        path.put("rescaleuuid", job.toString()); // there is none
        path.put("checkpointid", "" + checkpoints.getLatestCheckpoints().getCompletedCheckpointStatistics().getId());
    }

    /** Asks all that can be asked by GET, whoever asks it. */
    @SuppressWarnings({"unchecked", "rawtypes"})
    private void questions() throws Exception {
        for (Class<?> type : headers()) {
            String name = type.getSimpleName();
            if (LATER.contains(name)) {
                continue;
            }
            MessageHeaders h;
            try {
                h = instance(type);
            } catch (ReflectiveOperationException e) {
                continue; // not a message of its own
            }
            if (h.getHttpMethod() != HttpMethodWrapper.GET || h.getRequestClass() != EmptyRequestBody.class) {
                continue;
            }
            String missing = resolve(h.getUnresolvedMessageParameters());
            report("GET " + h.getTargetRestEndpointURL(), () -> {
                if (!missing.isEmpty()) {
                    throw new IOException("no value for " + missing);
                }
                MessageParameters p = h.getUnresolvedMessageParameters();
                resolve(p);
                try {
                    return send(h, p, EmptyRequestBody.getInstance());
                } catch (Exception e) {
                    if (e.getCause() instanceof RestClientException r
                            && REFUSED.getOrDefault(name, 0) == r.getHttpResponseStatus().code()) {
                        return "refused";
                    }
                    throw e;
                }
            }, answer -> isTrue(answer != null, answer));
        }
    }

    private String resolve(MessageParameters parameters) throws Exception {
        for (MessagePathParameter<?> p : parameters.getPathParameters()) {
            if (!path.containsKey(p.getKey())) {
                return p.getKey();
            }
            p.resolveFromString(path.get(p.getKey()));
        }
        return "";
    }

    /** All classes of messages in the jar that Flink's classes come from. */
    private static List<Class<?>> headers() throws Exception {
        List<Class<?>> found = new ArrayList<>();
        URI jar = RestClient.class.getProtectionDomain().getCodeSource().getLocation().toURI();
        try (JarFile file = new JarFile(Path.of(jar).toFile())) {
            for (Enumeration<JarEntry> all = file.entries(); all.hasMoreElements(); ) {
                String name = all.nextElement().getName();
                if (!name.endsWith("Headers.class") || !name.startsWith("org/apache/flink/runtime/")) {
                    continue;
                }
                Class<?> type = Class.forName(name.substring(0, name.length() - 6).replace('/', '.'));
                if (MessageHeaders.class.isAssignableFrom(type) && !Modifier.isAbstract(type.getModifiers())) {
                    found.add(type);
                }
            }
        }
        found.sort((a, b) -> a.getName().compareTo(b.getName()));
        return found;
    }

    private static MessageHeaders<?, ?, ?> instance(Class<?> type) throws ReflectiveOperationException {
        try {
            Method get = type.getMethod("getInstance");
            return (MessageHeaders<?, ?, ?>) get.invoke(null);
        } catch (NoSuchMethodException e) {
            Constructor<?> make = type.getDeclaredConstructor();
            make.setAccessible(true);
            return (MessageHeaders<?, ?, ?>) make.newInstance();
        }
    }

    /** The figures that the autoscaler decides by. */
    private void metrics() throws Exception {
        report("metrics of subtasks, aggregated", () -> {
            AggregatedSubtaskMetricsHeaders h = AggregatedSubtaskMetricsHeaders.getInstance();
            AggregatedSubtaskMetricsParameters p = h.getUnresolvedMessageParameters();
            resolve(p);
            p.getQueryParameters().iterator().next().resolveFromString("busyTimeMsPerSecond,numRecordsOutPerSecond,backPressuredTimeMsPerSecond");
            return send(h, p, EmptyRequestBody.getInstance());
        }, m -> isTrue(m.getMetrics().size() == 3, m.getMetrics().size() + " metrics"));
        report("names of metrics of a vertex", () -> {
            JobVertexMetricsHeaders h = JobVertexMetricsHeaders.getInstance();
            JobVertexMetricsMessageParameters p = h.getUnresolvedMessageParameters();
            resolve(p);
            return send(h, p, EmptyRequestBody.getInstance());
        }, m -> isTrue(!m.getMetrics().isEmpty(), "no names"));
        report("metrics of the JobManager", () -> {
            JobManagerMetricsHeaders h = JobManagerMetricsHeaders.getInstance();
            JobManagerMetricsMessageParameters p = h.getUnresolvedMessageParameters();
            p.getQueryParameters().iterator().next().resolveFromString("taskSlotsTotal,taskSlotsAvailable");
            return send(h, p, EmptyRequestBody.getInstance());
        }, m -> isTrue(m.getMetrics().size() == 2, m.getMetrics().size() + " metrics"));
        report("memory of TaskManagers, aggregated", () -> {
            AggregatedTaskManagerMetricsHeaders h = AggregatedTaskManagerMetricsHeaders.getInstance();
            AggregateTaskManagerMetricsParameters p = h.getUnresolvedMessageParameters();
            p.getQueryParameters().iterator().next().resolveFromString("Status.JVM.Memory.Heap.Max,Status.JVM.Memory.Heap.Used");
            return send(h, p, EmptyRequestBody.getInstance());
        }, m -> isTrue(m.getMetrics().size() == 2, m.getMetrics().size() + " metrics"));
    }

    /** What the operator does with a job: observes, checkpoints, takes and deletes savepoints. */
    private void steer() throws Exception {
        Configuration c = new Configuration();
        c.set(RestOptions.ADDRESS, host);
        c.set(RestOptions.PORT, port);
        try (RestClusterClient<String> cluster = new RestClusterClient<>(c, "weir")) {
            report("status of the job", () -> get(cluster.getJobStatus(job)), s -> isTrue(s == JobStatus.RUNNING, s));
            report("list of jobs", () -> get(cluster.listJobs()), l -> isTrue(l.stream().anyMatch(j -> j.getJobId().equals(job)), l));
            report("overview of the cluster", () -> get(cluster.getClusterOverview()), o -> isTrue(o.getNumSlotsTotal() == 4, o));
            report("accumulators", () -> get(cluster.getAccumulators(job, Calls.class.getClassLoader())), a -> isTrue(a != null, a));
            report("a client lives", () -> { get(cluster.reportHeartbeat(job, System.currentTimeMillis() + 600_000)); return ""; }, a -> "");
            report("checkpoint", () -> get(cluster.triggerCheckpoint(job, CheckpointType.FULL)), id -> isTrue(id > 0, id));
            report("incremental checkpoint", () -> get(cluster.triggerCheckpoint(job, CheckpointType.INCREMENTAL)), id -> isTrue(id > 0, id));
            report("cached results", () -> get(cluster.listCompletedClusterDatasetIds()), s -> isTrue(s.isEmpty(), s));
            String savepoint = triggered(savepoints);
            if (savepoint != null) {
                report("disposal of the savepoint", () -> get(cluster.disposeSavepoint(savepoint)), a -> isTrue(a != null, a));
            }
        }
    }

    /** Takes a savepoint as the operator does: triggers it under an id of its own, and polls. */
    private String triggered(String directory) throws Exception {
        TriggerId id = new TriggerId();
        TriggerResponse answer = report("savepoint under an id", () -> {
            SavepointTriggerHeaders h = SavepointTriggerHeaders.getInstance();
            SavepointTriggerMessageParameters p = h.getUnresolvedMessageParameters();
            p.jobID.resolve(job);
            return send(h, p, new SavepointTriggerRequestBody(directory, false, SavepointFormatType.NATIVE, id));
        }, a -> isTrue(a.getTriggerId().equals(id), a.getTriggerId()));
        if (answer == null) {
            return null;
        }
        SavepointInfo info = report("status of the savepoint", () -> {
            SavepointStatusHeaders h = SavepointStatusHeaders.getInstance();
            SavepointStatusMessageParameters p = h.getUnresolvedMessageParameters();
            p.jobIdPathParameter.resolve(job);
            p.triggerIdPathParameter.resolve(id);
            AsynchronousOperationResult<SavepointInfo> state = null;
            for (int i = 0; i < 300 && (state == null || state.resource() == null); i++) {
                state = send(h, p, EmptyRequestBody.getInstance());
                Thread.sleep(100);
            }
            return state.resource();
        }, i -> isTrue(i != null && i.getFailureCause() == null && i.getLocation().startsWith(directory), i));
        return info == null ? null : info.getLocation();
    }

    /** What the operator does for a job of a session cluster: uploads a program, runs and cancels it, deletes it. */
    private void programs() throws Exception {
        JarUploadResponseBody uploaded = report("upload of a program", () -> get(client.sendRequest(host, port, JarUploadHeaders.getInstance(),
                EmptyMessageParameters.getInstance(), EmptyRequestBody.getInstance(),
                List.of(new FileUpload(program, RestConstants.CONTENT_TYPE_JAR)))),
                u -> isTrue(u.getFilename().contains(program.getFileName().toString()), u.getFilename()));
        if (uploaded == null) {
            return;
        }
        String id = uploaded.getFilename().substring(uploaded.getFilename().lastIndexOf('/') + 1);
        report("list of programs", () -> send(JarListHeaders.getInstance(), EmptyMessageParameters.getInstance(), EmptyRequestBody.getInstance()),
                l -> isTrue(l.jarFileList.stream().anyMatch(f -> f.id.equals(id)), id + " is not listed"));
        path.put("jarid", id);
        JobID wanted = new JobID();
        List<String> arguments = List.of("--rate", "100", "--out", savepoints + "-out");
        report("plan of the program", () -> {
            JarPlanPostHeaders h = JarPlanPostHeaders.getInstance();
            var p = h.getUnresolvedMessageParameters();
            resolve(p);
            return send(h, p, new JarPlanRequestBody(null, arguments, 1, null, null));
        }, p -> isTrue(p.getPlan() != null, p));
        report("run of the program", () -> {
            JarRunHeaders h = JarRunHeaders.getInstance();
            JarRunMessageParameters p = h.getUnresolvedMessageParameters();
            resolve(p);
            return send(h, p, new JarRunRequestBody(null, arguments, 1, wanted, false, null, null, Collections.emptyMap()));
        }, r -> isTrue(r.getJobId().equals(wanted), r.getJobId()));
        report("cancellation of its job", () -> {
            JobCancellationHeaders h = JobCancellationHeaders.getInstance();
            JobCancellationMessageParameters p = h.getUnresolvedMessageParameters();
            p.resolveJobId(wanted);
            p.resolveTerminationMode(TerminationModeQueryParameter.TerminationMode.CANCEL);
            return send(h, p, EmptyRequestBody.getInstance());
        }, a -> "");
        report("deletion of the program", () -> {
            JarDeleteHeaders h = JarDeleteHeaders.getInstance();
            JarDeleteMessageParameters p = h.getUnresolvedMessageParameters();
            resolve(p);
            return send(h, p, EmptyRequestBody.getInstance());
        }, a -> "");
    }
}
