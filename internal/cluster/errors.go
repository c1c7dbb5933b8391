// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package cluster

import "errors"

// ErrNoCapacity says that the platform has no room for another TaskManager now: a quota, or no memory. Ask again later.
var ErrNoCapacity = errors.New("cluster: no capacity for another TaskManager")
