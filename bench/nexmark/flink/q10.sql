-- Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

CREATE TABLE log (
  auction BIGINT, bidder BIGINT, price BIGINT, ts TIMESTAMP(3), extra STRING, `day` STRING, `minute` STRING
) PARTITIONED BY (`day`, `minute`) WITH (
  'connector' = 'filesystem', 'path' = 'file://{{.Dir}}/log', 'format' = 'csv'
);

INSERT INTO log
SELECT auction, bidder, price, ts, extra, DATE_FORMAT(ts, 'yyyy-MM-dd'), DATE_FORMAT(ts, 'HH:mm') FROM bids;
