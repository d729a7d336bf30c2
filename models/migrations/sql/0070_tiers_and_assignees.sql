-- Discounts that grow with what is spent (S2-127).

ALTER TABLE discount_rules
    -- `{from_minor, percent_bp | amount_minor}`; that they ascend is for whoever writes them.
    ADD COLUMN tiers JSONB,
    ADD CONSTRAINT ck_discount_rules_tiers CHECK (
        CASE WHEN tiers IS NULL THEN true
             WHEN jsonb_typeof(tiers) <> 'array' THEN false
             ELSE jsonb_array_length(tiers) BETWEEN 1 AND 10 AND currency IS NOT NULL
                AND jsonb_array_length(tiers) = jsonb_array_length(CASE kind
                    WHEN 'percent' THEN jsonb_path_query_array(tiers, 'strict $[*] ?
                        (@.from_minor >= 1 && @.percent_bp >= 1 && @.percent_bp <= 10000)')
                    ELSE jsonb_path_query_array(tiers, 'strict $[*] ?
                        (@.from_minor >= 1 && @.amount_minor >= 1)') END)
        END);
