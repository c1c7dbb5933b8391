-- Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

CREATE TABLE side_input (key BIGINT, `value` STRING) WITH ('connector' = 'side-input', 'path' = '{{.SideInput}}');

CREATE TABLE answers WITH ({{.Answers}}) AS
SELECT b.auction, b.bidder, b.price, b.ts, s.`value`
FROM (SELECT *, PROCTIME() AS clock FROM bids) AS b
JOIN side_input FOR SYSTEM_TIME AS OF b.clock AS s ON MOD(b.auction, 10000) = s.key;
