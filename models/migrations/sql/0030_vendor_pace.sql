-- Places in the line whose callers come late must not begin all at once: the rate has a course of its own.
ALTER TABLE vendor_accounts ADD COLUMN taken_until TIMESTAMP WITH TIME ZONE;
