"""Judging images and networks: metrics, classical filters, SmoothGrad, transfer."""
