-- Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

CREATE TABLE answers WITH ({{.Answers}}) AS
SELECT category, AVG(closing) AS mean
FROM (
  SELECT a.category, MAX(b.price) AS closing
  FROM auctions AS a JOIN bids AS b ON a.id = b.auction
  WHERE b.ts BETWEEN a.ts AND a.expires
  GROUP BY a.id, a.category
)
GROUP BY category;
