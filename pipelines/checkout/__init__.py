"""What a shopper pays: purchases, from the cart to the refund."""
