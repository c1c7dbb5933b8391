-- Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

CREATE TABLE answers WITH ({{.Answers}}) AS
SELECT bidder, COUNT(*) AS n, TUMBLE_START(clock, INTERVAL '10' SECOND) AS since, TUMBLE_END(clock, INTERVAL '10' SECOND) AS until
FROM (SELECT bidder, PROCTIME() AS clock FROM bids)
GROUP BY bidder, TUMBLE(clock, INTERVAL '10' SECOND);
