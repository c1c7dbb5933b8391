-- Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

CREATE TABLE answers WITH ({{.Answers}}) AS
SELECT auction, price FROM bids WHERE MOD(auction, 123) = 0;
