#!/bin/sh
# rules.yaml as an object of the Prometheus operator, on stdout: for `make monitoring`, and for the test that both say the same.
cd "$(dirname "$0")" || exit 1
cat <<'END'
# Written by `make monitoring` from rules.yaml; change that.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: shoal
  labels:
    app.kubernetes.io/name: shoal
spec:
END
sed -e '/^#/d' -e '/./s/^/  /' rules.yaml
