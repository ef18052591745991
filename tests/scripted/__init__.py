"""Ends for the flow tests: what stands where Prometheus stands. (Where Azure stands, the sandbox stands.)"""
