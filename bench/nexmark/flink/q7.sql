-- Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

CREATE TABLE answers WITH ({{.Answers}}) AS
SELECT b.auction, b.price, b.bidder, b.ts, b.extra
FROM bids AS b JOIN (
  SELECT MAX(price) AS highest, window_end AS until
  FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end
) AS h ON b.price = h.highest
WHERE b.ts BETWEEN h.until - INTERVAL '10' SECOND AND h.until;
