-- Which units a refund pays for, and why in a person's words (EC-033, EC-050).

ALTER TABLE refunds
    -- `{"place of the line": how many}`; NULL: of an amount, whatever it is for.
    ADD COLUMN units JSONB,
    ADD COLUMN note TEXT,
    ADD CONSTRAINT ck_refunds_units CHECK (jsonb_typeof(units) = 'object' AND units <> '{}');
