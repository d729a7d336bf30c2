"""The month of a partner: the database's, in the partner's time zone (EC-109).

For statements about a partner `p` that are given `:now`; neither a token nor a browser has a say.
"""

#: SQL: the first day of the month that it is now.
THIS_MONTH = "date_trunc('month', CAST(:now AS timestamptz) AT TIME ZONE p.time_zone)::date"
#: SQL: when the next one begins.
NEXT_MONTH_AT = f"({THIS_MONTH} + interval '1 month') AT TIME ZONE p.time_zone"
