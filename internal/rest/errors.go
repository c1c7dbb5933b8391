// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"errors"
	"net/http"
)

// Kinds of errors of a Cluster; implementations wrap them with what was asked for.
var (
	// ErrNotFound is for a job, program, Worker, operation or file that is not there: 404.
	ErrNotFound = errors.New("not found")
	// ErrInvalid is for a request that can't be served as it is: 400.
	ErrInvalid = errors.New("invalid request")
	// ErrConflict is for what the state of the thing does not allow, as canceling a job that has ended: 409.
	ErrConflict = errors.New("conflict")
	// ErrUnavailable is for what may work in a moment: no leader is known, a JobMaster restarts, a Worker is silent: 503.
	ErrUnavailable = errors.New("not available at present")
)

// statusOf is the status of the answer to a request that ended with err.
func statusOf(err error) int {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, ErrConflict):
		return http.StatusConflict
	case errors.Is(err, ErrUnavailable):
		return http.StatusServiceUnavailable
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusInternalServerError
}
