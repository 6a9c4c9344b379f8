"""Stage one: the lung U-Net (paper section 2.2.1)."""
