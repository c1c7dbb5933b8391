-- Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

CREATE TABLE answers WITH ({{.Answers}}) AS
SELECT id, name, description, first_price, reserve, ts, expires, seller, category, extra, bidder, price, bid_ts, bid_extra
FROM (
  SELECT a.*, b.bidder, b.price, b.ts AS bid_ts, b.extra AS bid_extra,
    ROW_NUMBER() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.ts ASC) AS place
  FROM auctions AS a JOIN bids AS b ON a.id = b.auction
  WHERE b.ts BETWEEN a.ts AND a.expires
)
WHERE place <= 1;
