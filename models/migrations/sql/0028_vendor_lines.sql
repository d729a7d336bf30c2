-- A call that finds no token is promised one: a place in the line before the vendor.
ALTER TABLE vendor_calls ADD COLUMN starts_at TIMESTAMP WITH TIME ZONE;
