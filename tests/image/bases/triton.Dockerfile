# Stands in for nvcr.io/nvidia/tritonserver: the real server, where that image has it, and an entry point that does the
# same. Takes the folder that tools/triton.sh unpacks.
ARG BASE
FROM ${BASE}
RUN apt-get update -qq \
    && apt-get install -qq --yes --no-install-recommends curl libexpat1 python3 python3-pip > /dev/null \
    && rm -rf /var/lib/apt/lists/*
ARG PACKAGES=usr/lib/python3/dist-packages
COPY ${PACKAGES}/nvidia_pytriton.libs /nvidia_pytriton.libs
COPY ${PACKAGES}/numpy /usr/lib/python3/dist-packages/numpy
COPY ${PACKAGES}/numpy.libs /usr/lib/python3/dist-packages/numpy.libs
COPY ${PACKAGES}/pytriton/tritonserver/bin /opt/tritonserver/bin
COPY ${PACKAGES}/pytriton/tritonserver/backends /opt/tritonserver/backends
COPY ${PACKAGES}/pytriton/tritonserver/caches /opt/tritonserver/caches
RUN useradd --uid 1000 --user-group --no-create-home triton-server && mkdir -p /opt/nvidia/entrypoint.d \
    && echo "The banner of the base image" > /opt/nvidia/entrypoint.d/10-banner.txt \
    && echo 'export CHECKED_BY_ENTRY_POINT=yes' > /opt/nvidia/entrypoint.d/50-check.sh \
    && printf '%s\n' '#!/bin/bash' 'for part in /opt/nvidia/entrypoint.d/*; do' \
        'case $part in *.txt) cat "$part" ;; *.sh) source "$part" ;; esac' 'done' \
        '[[ $# -gt 0 ]] || exec /bin/bash' 'exec "$@"' > /opt/nvidia/nvidia_entrypoint.sh \
    && chmod +x /opt/nvidia/nvidia_entrypoint.sh
ENV PATH=/opt/tritonserver/bin:$PATH PIP_BREAK_SYSTEM_PACKAGES=1 TRITON_SERVER_USER=triton-server
WORKDIR /opt/tritonserver
ENTRYPOINT ["/opt/nvidia/nvidia_entrypoint.sh"]
