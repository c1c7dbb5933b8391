// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"context"
	"net"
	"net/http"
	"strconv"

	"github.com/weir-stream/weir/internal/metrics"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// taskManagerItem is a TaskManager in the list of them.
type taskManagerItem struct {
	ID             string              `json:"id"`
	Path           string              `json:"path"`
	DataPort       int                 `json:"dataPort"`
	JMXPort        int                 `json:"jmxPort"`
	SinceHeartbeat int64               `json:"timeSinceLastHeartbeat"`
	SlotsNumber    int                 `json:"slotsNumber"`
	FreeSlots      int                 `json:"freeSlots"`
	TotalResource  resource            `json:"totalResource"`
	FreeResource   resource            `json:"freeResource"`
	Hardware       hardware            `json:"hardware"`
	Memory         memoryConfiguration `json:"memoryConfiguration"`
	AssignedTasks  int                 `json:"assignedTasks"`
	// What follows is Weir's.
	Host      string `json:"host"`
	ProcessID int64  `json:"process-id"`
	Version   string `json:"weir-version"`
	Draining  bool   `json:"draining"`
}

// resource is a share of a Worker; its memory counts in megabytes, as Flink's does.
type resource struct {
	CPUCores          float64            `json:"cpuCores"`
	TaskHeapMemory    int64              `json:"taskHeapMemory"`
	TaskOffHeapMemory int64              `json:"taskOffHeapMemory"`
	ManagedMemory     int64              `json:"managedMemory"`
	NetworkMemory     int64              `json:"networkMemory"`
	Extended          map[string]float64 `json:"extendedResources"`
}

type hardware struct {
	CPUCores       int32 `json:"cpuCores"`
	PhysicalMemory int64 `json:"physicalMemory"`
	FreeMemory     int64 `json:"freeMemory"`
	ManagedMemory  int64 `json:"managedMemory"`
}

// memoryConfiguration has Flink's parts. A Worker of Weir has one memory number, which its slots share: it is shown as
// memory of tasks, and the parts that only a Java process has are zero.
type memoryConfiguration struct {
	FrameworkHeap      int64 `json:"frameworkHeap"`
	TaskHeap           int64 `json:"taskHeap"`
	FrameworkOffHeap   int64 `json:"frameworkOffHeap"`
	TaskOffHeap        int64 `json:"taskOffHeap"`
	NetworkMemory      int64 `json:"networkMemory"`
	ManagedMemory      int64 `json:"managedMemory"`
	Metaspace          int64 `json:"jvmMetaspace"`
	Overhead           int64 `json:"jvmOverhead"`
	TotalFlinkMemory   int64 `json:"totalFlinkMemory"`
	TotalProcessMemory int64 `json:"totalProcessMemory"`
}

// shareOf is the resource of some of the slots of a Worker.
func shareOf(r *weirpb.TaskManagerReport, slots int) resource {
	share := resource{Extended: map[string]float64{}}
	if n := len(r.Slots); n > 0 {
		share.CPUCores = float64(r.Cores) * float64(slots) / float64(n)
		share.TaskHeapMemory = r.MemoryBytes / int64(n) * int64(slots) >> 20
	}
	return share
}

func (a *API) taskManagerItem(w Worker, tasks map[string]map[string]int) taskManagerItem {
	r := w.Report
	item := taskManagerItem{
		ID: r.Id, Path: r.Host + ":" + r.Id, DataPort: portOf(r.DataAddress), JMXPort: -1,
		SinceHeartbeat: w.LastHeartbeat.UnixMilli(), SlotsNumber: len(r.Slots), FreeSlots: freeSlots(r),
		TotalResource: shareOf(r, len(r.Slots)), FreeResource: shareOf(r, freeSlots(r)),
		Hardware: hardware{CPUCores: r.Cores, PhysicalMemory: r.MachineMemoryBytes, FreeMemory: r.MemoryBytes},
		Memory:   memoryConfiguration{TaskHeap: r.MemoryBytes, TotalFlinkMemory: r.MemoryBytes, TotalProcessMemory: r.MemoryBytes},
		Host:     r.Host, ProcessID: r.ProcessId, Version: r.Version, Draining: r.Draining,
	}
	for _, n := range tasks[r.Id] {
		item.AssignedTasks += n
	}
	return item
}

// portOf is the port of an address, -1 if it has none.
func portOf(address string) int {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return -1
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return -1
	}
	return n
}

// assignedTasks counts the tasks that have not ended by TaskManager and job.
func (a *API) assignedTasks(ctx context.Context) (map[string]map[string]int, error) {
	details, err := a.details(ctx, func(s *weirpb.JobSummary) bool { return !ended(s.State) })
	if err != nil {
		return nil, err
	}
	tasks := map[string]map[string]int{}
	for _, d := range details {
		for _, v := range d.Vertices {
			for _, at := range currentAttempts(v.Subtasks) {
				if at.TaskManager == "" || endedTask(at.State) {
					continue
				}
				if tasks[at.TaskManager] == nil {
					tasks[at.TaskManager] = map[string]int{}
				}
				tasks[at.TaskManager][d.JobId]++
			}
		}
	}
	return tasks, nil
}

func (a *API) taskManagers(r *http.Request) (any, error) {
	workers, err := a.cluster.Workers.List(r.Context())
	if err != nil {
		return nil, err
	}
	tasks, err := a.assignedTasks(r.Context())
	if err != nil {
		return nil, err
	}
	items := make([]taskManagerItem, 0, len(workers))
	for _, w := range workers {
		items = append(items, a.taskManagerItem(w, tasks))
	}
	return map[string][]taskManagerItem{"taskmanagers": items}, nil
}

const workerIDBytesMax = 256

// worker returns the one in the path.
func (a *API) worker(r *http.Request) (Worker, error) {
	id := r.PathValue("taskmanager")
	if len(id) > workerIDBytesMax {
		return Worker{}, invalid("%q is no id of a TaskManager", clip(id))
	}
	workers, err := a.cluster.Workers.List(r.Context())
	if err != nil {
		return Worker{}, err
	}
	for _, w := range workers {
		if w.Report.Id == id {
			return w, nil
		}
	}
	return Worker{}, notFound("there is no TaskManager %q", clip(id))
}

type taskManagerAnswer struct {
	taskManagerItem

	AllocatedSlots []allocatedSlot    `json:"allocatedSlots"`
	Metrics        taskManagerFigures `json:"metrics"`
}

type allocatedSlot struct {
	JobID         string   `json:"jobId"`
	Resource      resource `json:"resource"`
	AssignedTasks int      `json:"assignedTasks"`
}

type taskManagerFigures struct {
	HeapUsed             int64              `json:"heapUsed"`
	HeapCommitted        int64              `json:"heapCommitted"`
	HeapMax              int64              `json:"heapMax"`
	NonHeapUsed          int64              `json:"nonHeapUsed"`
	NonHeapCommitted     int64              `json:"nonHeapCommitted"`
	NonHeapMax           int64              `json:"nonHeapMax"`
	DirectCount          int64              `json:"directCount"`
	DirectUsed           int64              `json:"directUsed"`
	DirectMax            int64              `json:"directMax"`
	MappedCount          int64              `json:"mappedCount"`
	MappedUsed           int64              `json:"mappedUsed"`
	MappedMax            int64              `json:"mappedMax"`
	ShuffleSegmentsFree  int64              `json:"nettyShuffleMemorySegmentsAvailable"`
	ShuffleSegmentsUsed  int64              `json:"nettyShuffleMemorySegmentsUsed"`
	ShuffleSegmentsTotal int64              `json:"nettyShuffleMemorySegmentsTotal"`
	ShuffleMemoryFree    int64              `json:"nettyShuffleMemoryAvailable"`
	ShuffleMemoryUsed    int64              `json:"nettyShuffleMemoryUsed"`
	ShuffleMemoryTotal   int64              `json:"nettyShuffleMemoryTotal"`
	GarbageCollectors    []garbageCollector `json:"garbageCollectors"`
}

type garbageCollector struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
	Time  int64  `json:"time"`
}

func figuresOf(m map[string]float64) taskManagerFigures {
	at := func(name string) int64 { return int64(m["Status."+name]) }
	return taskManagerFigures{
		HeapUsed: at("JVM.Memory.Heap.Used"), HeapCommitted: at("JVM.Memory.Heap.Committed"),
		HeapMax: at("JVM.Memory.Heap.Max"), NonHeapUsed: at("JVM.Memory.NonHeap.Used"),
		NonHeapCommitted: at("JVM.Memory.NonHeap.Committed"), NonHeapMax: at("JVM.Memory.NonHeap.Max"),
		ShuffleSegmentsFree:  at("Shuffle.Netty.AvailableMemorySegments"),
		ShuffleSegmentsUsed:  at("Shuffle.Netty.UsedMemorySegments"),
		ShuffleSegmentsTotal: at("Shuffle.Netty.TotalMemorySegments"),
		ShuffleMemoryFree:    at("Shuffle.Netty.AvailableMemory"), ShuffleMemoryUsed: at("Shuffle.Netty.UsedMemory"),
		ShuffleMemoryTotal: at("Shuffle.Netty.TotalMemory"),
		GarbageCollectors: []garbageCollector{{
			Name: "Go", Count: at("JVM.GarbageCollector.All.Count"), Time: at("JVM.GarbageCollector.All.Time"),
		}},
	}
}

func (a *API) taskManager(r *http.Request) (any, error) {
	w, err := a.worker(r)
	if err != nil {
		return nil, err
	}
	tasks, err := a.assignedTasks(r.Context())
	if err != nil {
		return nil, err
	}
	body := taskManagerAnswer{
		taskManagerItem: a.taskManagerItem(w, tasks), AllocatedSlots: []allocatedSlot{}, Metrics: figuresOf(w.Report.Metrics),
	}
	slotsOf := map[string]int{}
	for _, s := range w.Report.Slots {
		if s.AllocationId != "" {
			slotsOf[s.JobId]++
		}
	}
	for _, s := range w.Report.Slots {
		if s.AllocationId == "" {
			continue
		}
		// Which task is in which slot of a job is not reported: a job's tasks are spread evenly over its slots.
		n := slotsOf[s.JobId]
		left := tasks[w.Report.Id][s.JobId]
		share := (left + n - 1) / n
		tasks[w.Report.Id][s.JobId], slotsOf[s.JobId] = left-share, n-1
		body.AllocatedSlots = append(body.AllocatedSlots, allocatedSlot{
			JobID: s.JobId, Resource: shareOf(w.Report, 1), AssignedTasks: share,
		})
	}
	return body, nil
}

func (a *API) taskManagerMetrics(r *http.Request) (any, error) {
	w, err := a.worker(r)
	if err != nil {
		return nil, err
	}
	return answerMetrics(r, metrics.OfNames(w.Report.Metrics))
}

// taskManagersMetrics aggregates over TaskManagers, those of taskmanagers=a,b or all.
func (a *API) taskManagersMetrics(r *http.Request) (any, error) {
	workers, err := a.cluster.Workers.List(r.Context())
	if err != nil {
		return nil, err
	}
	only := map[string]bool{}
	for _, id := range queryList(r, "taskmanagers") {
		only[id] = true
	}
	var owners [][]metrics.Value
	for _, w := range workers {
		if len(only) == 0 || only[w.Report.Id] {
			owners = append(owners, metrics.OfNames(w.Report.Metrics))
		}
	}
	return answerAggregated(r, owners)
}

func (a *API) drain(r *http.Request) (any, error) {
	w, err := a.worker(r)
	if err != nil {
		return nil, err
	}
	if err := a.cluster.Workers.Drain(r.Context(), w.Report.Id); err != nil {
		return nil, err
	}
	return answer{http.StatusAccepted, empty{}}, nil
}
