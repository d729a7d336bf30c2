"""Links of issued cards on their way to recipients: sent, tried again, sent anew."""
