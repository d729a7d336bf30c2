-- A replacement's link goes to the corrected address of the card before it, which stays sealed once.
-- An address erased leaves the pseudonym of its person behind: nobody can prove to be them.
ALTER TABLE deliveries ADD COLUMN IF NOT EXISTS address_of_id UUID;
-- Narrower where nothing was yet, wider else; validated afterwards, while everybody works.
ALTER TABLE deliveries DROP CONSTRAINT ck_deliveries_corrected_address,
    ADD CONSTRAINT ck_deliveries_corrected_address CHECK (
        sealed_address IS NULL OR (address_key IS NOT NULL AND address_of_id IS NULL)) NOT VALID;
