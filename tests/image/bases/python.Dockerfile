# Stands in for python:3-slim.
ARG BASE
FROM ${BASE}
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends python3 python3-pip python3-venv > /dev/null && rm -rf /var/lib/apt/lists/*
CMD ["python3"]
