-- Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

CREATE TABLE answers WITH ({{.Answers}}) AS
SELECT *
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) AS place FROM bids)
WHERE place <= 10;
