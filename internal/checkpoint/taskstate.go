// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package checkpoint

import "fmt"

// OperatorState is the state of one operator of a task, as its acknowledgement carries it.
type OperatorState struct {
	Operator OperatorID
	State    StateHandle
}

// EncodeTaskState encodes what a task wrote. Its bytes travel in messages between the parts of one build and are stored
// nowhere, so they have neither version nor checksum.
func EncodeTaskState(states []OperatorState) []byte {
	e := metadataEncoder{schemas: map[string]int{}}
	var operators encoder // written behind the schemas that they refer to
	for i := range states {
		operators.message(2, func(w *encoder) {
			w.string(1, string(states[i].Operator))
			w.message(2, func(w *encoder) { e.handle(w, &states[i].State) })
		})
	}
	for _, s := range e.table {
		e.element(1, s)
	}
	return append(e.b, operators.b...)
}

// DecodeTaskState decodes what EncodeTaskState encoded. The result does not alias b.
func DecodeTaskState(b []byte) ([]OperatorState, error) {
	var d metadataDecoder
	var states []OperatorState
	err := eachField(append([]byte(nil), b...), func(f field) (err error) {
		switch f.n {
		case 1:
			d.schemas = append(d.schemas, f.data)
		case 2:
			var s OperatorState
			err = eachField(f.data, func(f field) (err error) {
				switch f.n {
				case 1:
					s.Operator = OperatorID(f.data)
				case 2:
					s.State, err = d.handle(f.data)
				}
				return err
			})
			if err == nil {
				err = s.State.validate()
			}
			states = append(states, s)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("state of a task: %w: %w", ErrCorrupt, err)
	}
	return states, nil
}
