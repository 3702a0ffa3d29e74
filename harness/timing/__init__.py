"""Inference time: methods take turns, call by call, in processes of their own."""
