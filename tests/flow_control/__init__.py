"""What limiters do, alone and together: tests on virtual time, and the table of the guide that comes from them."""
