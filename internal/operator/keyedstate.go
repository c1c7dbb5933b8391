// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"fmt"
	"hash/fnv"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/statebackend/heap"
)

// stateName is the name of the rows of a step, beside heap.TimersName and heap.WatermarksName.
const stateName = "state"

// rowsSpec declares rows of S by keys of K. It fails if they can't be stored, or K can't be a key.
func rowsSpec[K comparable, S any]() (statebackend.Spec, error) {
	t, err := heap.NewTable[K, S](emptyConfig(stateName))
	if err != nil {
		return statebackend.Spec{}, err
	}
	return statebackend.Spec{Name: stateName, Kind: statebackend.Keyed, Schema: t.Schema()}, t.Close()
}

// timersSpec declares the timers of keys of K, and watermarkSpec what key groups have seen of event time.
func timersSpec[K comparable]() (statebackend.Spec, error) {
	t, err := heap.NewTimers[K](emptyConfig(heap.TimersName))
	if err != nil {
		return statebackend.Spec{}, err
	}
	return statebackend.Spec{Name: heap.TimersName, Kind: statebackend.Keyed, Schema: t.Schema()}, t.Close()
}

func watermarkSpec() (statebackend.Spec, error) {
	w, err := heap.NewWatermarks(emptyRange())
	if err != nil {
		return statebackend.Spec{}, err
	}
	return statebackend.Spec{Name: heap.WatermarksName, Kind: statebackend.Keyed, Schema: w.Schema()}, nil
}

func emptyConfig(name string) heap.Config {
	return heap.Config{Name: name, Groups: emptyRange(), MaxParallelism: 1}
}

func emptyRange() statebackend.KeyGroupRange { return statebackend.KeyGroupRange{First: 0, Last: -1} }

// tableConfig is that of a table of one subtask.
func tableConfig(name string, rt *Runtime) heap.Config {
	seed := fnv.New64a()
	_, _ = seed.Write([]byte(rt.UID)) // a hash takes all
	return heap.Config{
		Name: name, Groups: rt.KeyGroups(), MaxParallelism: rt.MaxParallelism, Seed: seed.Sum64(),
	}
}

// keysOf puts the keys of the first records of rows into a group, as many as there is room for.
func keysOf[K, T any](group *[heap.PrefetchGroup]K, rows []T, key func(*T) K) []K {
	keys := group[:min(len(group), len(rows))]
	for i := range keys {
		keys[i] = key(&rows[i])
	}
	return keys
}

// hashed returns the hashes of the keys of a batch: those that travel with it, or, where the stream was declared to be
// keyed already, computed ones, in scratch. A key of another subtask is an error then.
func hashed[K comparable, T any](
	b *element.Batch[T], key func(*T) K, hash func(*K) uint64, rt *Runtime, scratch *[]uint64,
) ([]uint64, error) {
	if h := b.Hashes(); h != nil {
		return h, nil
	}
	hashes, groups, k := (*scratch)[:0], rt.KeyGroups(), new(K)
	for i := range b.Rows() {
		*k = key(&b.Rows()[i])
		h := hash(k)
		if group, _ := keys.Group(h, rt.MaxParallelism); !groups.Contains(group) {
			return nil, fmt.Errorf("step %q: key %v belongs to key group %d, this subtask has %v: the stream is not "+
				"partitioned by that key", rt.Name, *k, group, groups)
		}
		hashes = append(hashes, h)
	}
	*scratch = hashes
	return hashes, nil
}
