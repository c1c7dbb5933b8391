-- Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

CREATE TABLE answers WITH ({{.Answers}}) AS
SELECT bidder, COUNT(*) AS n, SESSION_START(ts, INTERVAL '10' SECOND) AS since, SESSION_END(ts, INTERVAL '10' SECOND) AS until
FROM bids
GROUP BY bidder, SESSION(ts, INTERVAL '10' SECOND);
