-- Several codes of one cart: each has a usage of its own, which points to the cart's first one.

-- Codes of one client whose groups differ may be on one cart; null: with no other code.
ALTER TABLE discount_rules
    ADD COLUMN stacking_group TEXT,
    ADD CONSTRAINT ck_discount_rules_stacking_group CHECK (stacking_group ~ '^[a-z0-9-]{1,40}$');

ALTER TABLE discount_usages
    ADD COLUMN stacked_on UUID,
    ADD CONSTRAINT ck_discount_usages_stacked_on CHECK (stacked_on <> id);
ALTER TABLE discount_usages
  ADD CONSTRAINT fk_discount_usages_stacked_on_agency_id_client_id_discount_usages
  FOREIGN KEY (stacked_on, agency_id, client_id)
  REFERENCES discount_usages (id, agency_id, client_id);
-- A code is on a cart once, however it is typed.
CREATE UNIQUE INDEX uq_discount_usages_stacked ON discount_usages (stacked_on, code_id, client_id)
  WHERE stacked_on IS NOT NULL;
-- A cart has one reservation, whose id is its first code's usage (EC-002, EC-018).
DROP INDEX uq_discount_usages_cart;
CREATE UNIQUE INDEX uq_discount_usages_cart ON discount_usages (client_id, cart_reference)
  WHERE state = 'reserved' AND stacked_on IS NULL;
