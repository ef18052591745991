# Stands in for prom/prometheus. Takes a folder with the two programs.
ARG BASE
FROM ${BASE}
COPY prometheus promtool /bin/
USER nobody
ENTRYPOINT ["/bin/prometheus"]
