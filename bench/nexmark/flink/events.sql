-- Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

-- The events of the generator, and each kind of them as a table of its own. what stands in braces is filled in.
CREATE TABLE events (
  kind INT,
  person ROW<id BIGINT, name STRING, email STRING, card STRING, city STRING, state STRING, ts TIMESTAMP(3), extra STRING>,
  auction ROW<id BIGINT, name STRING, description STRING, first_price BIGINT, reserve BIGINT, ts TIMESTAMP(3),
    expires TIMESTAMP(3), seller BIGINT, category BIGINT, extra STRING>,
  bid ROW<auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, ts TIMESTAMP(3), extra STRING>,
  ts AS CASE kind WHEN 0 THEN person.ts WHEN 1 THEN auction.ts ELSE bid.ts END,
  WATERMARK FOR ts AS ts - INTERVAL '4' SECOND
) WITH (
  'connector' = 'nexmark', 'events' = '{{.Events}}', 'events-per-second' = '{{.Rate}}', 'base' = '{{.Base}}',
  'seed' = '{{.Seed}}', 'out-of-order' = '{{.OutOfOrder}}', 'vocabulary' = '{{.Vocabulary}}'
);

CREATE VIEW people AS
SELECT person.id AS id, person.name AS name, person.email AS email, person.card AS card, person.city AS city,
  person.state AS state, ts, person.extra AS extra
FROM events WHERE kind = 0;

CREATE VIEW auctions AS
SELECT auction.id AS id, auction.name AS name, auction.description AS description, auction.first_price AS first_price,
  auction.reserve AS reserve, ts, auction.expires AS expires, auction.seller AS seller, auction.category AS category,
  auction.extra AS extra
FROM events WHERE kind = 1;

CREATE VIEW bids AS
SELECT bid.auction AS auction, bid.bidder AS bidder, bid.price AS price, bid.channel AS channel, bid.url AS url, ts,
  bid.extra AS extra
FROM events WHERE kind = 2;
