-- Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

CREATE TABLE answers WITH ({{.Answers}}) AS
SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.ts AS bid_ts, b.extra AS bid_extra,
  p.name, p.email, p.card, p.city, p.state, p.ts AS person_ts, p.extra AS person_extra,
  a.id, a.name AS item, a.description, a.first_price, a.reserve, a.ts AS auction_ts, a.expires, a.seller, a.category,
  a.extra AS auction_extra
FROM bids AS b JOIN people AS p ON p.id = b.bidder JOIN auctions AS a ON a.seller = b.bidder;
