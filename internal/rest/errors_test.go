// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
)

func TestStatusOfErrors(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]int{
		fmt.Errorf("job x: %w", ErrNotFound):              http.StatusNotFound,
		fmt.Errorf("parallelism: %w", ErrInvalid):         http.StatusBadRequest,
		fmt.Errorf("job x: %w", ErrConflict):              http.StatusConflict,
		fmt.Errorf("job x: %w", ErrUnavailable):           http.StatusServiceUnavailable,
		fmt.Errorf("read: %w", &http.MaxBytesError{}):     http.StatusRequestEntityTooLarge,
		errors.New("the disk is full"):                    http.StatusInternalServerError,
		errors.Join(ErrConflict, errors.New("it stands")): http.StatusConflict,
	} {
		if got := statusOf(err); got != want {
			t.Errorf("%v: status %d, want %d", err, got, want)
		}
	}
}
