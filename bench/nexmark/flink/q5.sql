-- Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

CREATE VIEW counted AS
SELECT auction, COUNT(*) AS n, window_start, window_end
FROM TABLE(HOP(TABLE bids, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
GROUP BY auction, window_start, window_end;

CREATE TABLE answers WITH ({{.Answers}}) AS
SELECT c.auction, c.n
FROM counted AS c JOIN (
  SELECT MAX(n) AS most, window_start, window_end FROM counted GROUP BY window_start, window_end
) AS m ON c.window_start = m.window_start AND c.window_end = m.window_end AND c.n >= m.most;
