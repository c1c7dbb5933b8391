-- Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

CREATE TABLE answers WITH ({{.Answers}}) AS
SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.ts AS bid_ts, b.extra AS bid_extra, a.name, a.description, a.first_price,
  a.reserve, a.ts AS auction_ts, a.expires, a.seller, a.category, a.extra AS auction_extra
FROM bids AS b JOIN auctions AS a ON b.auction = a.id
WHERE a.category = 10;
