-- Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

CREATE TABLE answers WITH ({{.Answers}}) AS
SELECT auction, DATE_FORMAT(ts, 'yyyy-MM-dd') AS `day`,
  COUNT(*) AS bids,
  COUNT(*) FILTER (WHERE price < 10000) AS bids_low,
  COUNT(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS bids_middle,
  COUNT(*) FILTER (WHERE price >= 1000000) AS bids_high,
  MIN(price) AS least, MAX(price) AS most, AVG(price) AS mean, SUM(price) AS total
FROM bids
GROUP BY auction, DATE_FORMAT(ts, 'yyyy-MM-dd');
