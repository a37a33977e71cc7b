-- Leases that ended without a unit and without being given back, by order: what bounds how many more
-- are leased. Asked for only by an order that had many.
CREATE INDEX leases_lapsed ON leases (order_id)
    WHERE voided IS NOT NULL AND voided <> 'lease_returned' AND spent_seq IS NULL;
