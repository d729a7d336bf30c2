-- FORCE hides every row from the owner too. Taken first and alone: nobody who writes coupons waits for
-- us while we wait for them.
ALTER TABLE coupons NO FORCE ROW LEVEL SECURITY;

-- Which coupon a code is: a table of its own (decision 0040). A coupon that moves is written anew, with
-- an entry in every index of its table; that of the codes has no order which those who move thousands
-- could keep to.
CREATE TABLE code_index (
    blind_index BYTEA NOT NULL,
    book_id UUID NOT NULL,
    coupon_id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL
);

INSERT INTO code_index (blind_index, book_id, coupon_id, agency_id, client_id)
  SELECT blind_index, book_id, id, agency_id, client_id FROM coupons ORDER BY blind_index;
ALTER TABLE coupons FORCE ROW LEVEL SECURITY;
-- A code is one of its client's, whatever book it is in (EC-024, EC-101); the client is part of what is
-- indexed. Were it a column here, plans would go through all coupons of the client.
ALTER TABLE code_index ADD CONSTRAINT pk_code_index PRIMARY KEY (blind_index);

ALTER TABLE code_index ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE code_index ALTER COLUMN client_id SET STATISTICS 0;
ALTER TABLE code_index ENABLE ROW LEVEL SECURITY;
ALTER TABLE code_index FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON code_index TO largesse_platform USING (true);
CREATE POLICY system ON code_index TO largesse_system USING (true);
CREATE POLICY readonly ON code_index FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON code_index TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON code_index TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
GRANT SELECT ON code_index TO largesse_platform, largesse_agency, largesse_client, largesse_system,
  largesse_readonly;
GRANT INSERT ON code_index TO largesse_platform, largesse_agency, largesse_client, largesse_system;

-- As for coupons: thousands in one statement, of one book.
CREATE FUNCTION check_indexed_books() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM (SELECT DISTINCT book_id, agency_id, client_id FROM new_codes) n
             WHERE NOT EXISTS (SELECT FROM books b WHERE b.id = n.book_id
               AND b.agency_id = n.agency_id AND b.client_id = n.client_id)) THEN
    RAISE EXCEPTION 'a code belongs to a book of its tenant'
      USING ERRCODE = 'foreign_key_violation',
        CONSTRAINT = 'fk_code_index_book_id_agency_id_client_id_books';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER code_index_immutable BEFORE UPDATE OR DELETE ON code_index
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER codes_inserted AFTER INSERT ON code_index
  REFERENCING NEW TABLE AS new_codes FOR EACH STATEMENT EXECUTE FUNCTION check_indexed_books();

DROP TRIGGER coupon_past ON coupons;
ALTER TABLE coupons DROP COLUMN blind_index;
CREATE TRIGGER coupon_past BEFORE UPDATE ON coupons FOR EACH ROW
  WHEN (OLD.state IN ('redeemed', 'void')
    OR NEW.book_id <> OLD.book_id OR NEW.id <> OLD.id OR NEW.client_id <> OLD.client_id
    OR NEW.agency_id <> OLD.agency_id OR NEW.code IS DISTINCT FROM OLD.code
    OR NEW.redemptions < OLD.redemptions
    OR (NEW.state = 'unassigned' AND OLD.redemptions > 0)
    OR NEW.version <> OLD.version + 1)
  EXECUTE FUNCTION refuse_coupon_change();

-- For lists by state; coupons that nobody has are the most, and pay for none.
CREATE INDEX ix_coupons_state ON coupons (book_id, state, id) WHERE state <> 'unassigned';
