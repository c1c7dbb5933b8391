-- Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

CREATE TABLE answers WITH ({{.Answers}}) AS
SELECT DATE_FORMAT(ts, 'yyyy-MM-dd') AS `day`,
  COUNT(*) AS bids,
  COUNT(*) FILTER (WHERE price < 10000) AS bids_low,
  COUNT(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS bids_middle,
  COUNT(*) FILTER (WHERE price >= 1000000) AS bids_high,
  COUNT(DISTINCT bidder) AS bidders,
  COUNT(DISTINCT bidder) FILTER (WHERE price < 10000) AS bidders_low,
  COUNT(DISTINCT bidder) FILTER (WHERE price >= 10000 AND price < 1000000) AS bidders_middle,
  COUNT(DISTINCT bidder) FILTER (WHERE price >= 1000000) AS bidders_high,
  COUNT(DISTINCT auction) AS auctions,
  COUNT(DISTINCT auction) FILTER (WHERE price < 10000) AS auctions_low,
  COUNT(DISTINCT auction) FILTER (WHERE price >= 10000 AND price < 1000000) AS auctions_middle,
  COUNT(DISTINCT auction) FILTER (WHERE price >= 1000000) AS auctions_high
FROM bids
GROUP BY DATE_FORMAT(ts, 'yyyy-MM-dd');
