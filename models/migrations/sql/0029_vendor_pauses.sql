-- A bucket filled in another worker's future is no pause: the vendor's own stands by itself.
ALTER TABLE vendor_accounts ADD COLUMN paused_until TIMESTAMP WITH TIME ZONE;
