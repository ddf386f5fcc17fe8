{{- define "gemma4.gatewayContainer" -}}
{{- $g := .Values.gateway -}}
{{- $scheme := ternary ", scheme: HTTPS" "" (ne $g.tls.existingSecret "") -}}
- name: gateway
  image: {{ include "gemma4.image" (dict "root" . "image" $g.image) }}
  imagePullPolicy: {{ $g.image.pullPolicy }}
  args:
    - gemma4
    - gateway
    - --host=0.0.0.0
    - --port=8080
    {{- if include "gemma4.sidecar" . }}
    - --backend=127.0.0.1:8001
    {{- else }}
    - --backend=dns:///{{ include "gemma4.fullname" . }}-triton-headless:8001
    - --dns-interval={{ $g.dnsIntervalSeconds }}
    {{- end }}
    - --health-interval={{ $g.healthIntervalSeconds }}
    - --imbalance={{ int $g.imbalance }}
    - --workers={{ int $g.workers }}
    - --timeout={{ $g.timeoutSeconds }}
    - --max-running={{ int $g.maxRunning }}
    - --queue-length={{ int $g.queue.length }}
    - --queue-tokens={{ int $g.queue.tokens }}
    - --queue-seconds={{ $g.queue.seconds }}
    - --max-body-mib={{ int $g.maxBodyMib }}
    - --key-requests-per-minute={{ int $g.keyRequestsPerMinute }}
    - --key-tokens-per-minute={{ int $g.keyTokensPerMinute }}
    - --key-max-running={{ int $g.keyMaxRunning }}
    - --sse-keep-alive={{ $g.sseKeepAliveSeconds }}
    - --{{ ternary "" "no-" $g.webui }}webui
    {{- if $g.dropUnsupported }}
    - --drop-unsupported
    {{- end }}
    {{- with $g.responseStore }}
    {{- if .enabled }}
    - --response-store=/responses/responses.db
    - --response-store-count={{ int .count }}
    - --response-store-mib={{ int .mib }}
    - --response-store-days={{ .days }}
    {{- end }}
    {{- end }}
    - --grace={{ int $g.graceSeconds }}
    - --log-format=json
    {{- range $g.servedModelNames }}
    - --served-model-name={{ . }}
    {{- end }}
    {{- range $g.corsOrigins }}
    - --cors-origin={{ . }}
    {{- end }}
    {{- if include "gemma4.keysSecret" . }}
    - --api-keys-file=/keys/{{ $g.apiKeys.secretKey }}
    {{- end }}
    {{- if $g.limitsRedis.existingSecret }}
    - --limits-redis-file=/limits-redis/{{ $g.limitsRedis.secretKey }}
    {{- end }}
    {{- if $g.tls.existingSecret }}
    - --ssl-certfile=/tls/tls.crt
    - --ssl-keyfile=/tls/tls.key
    {{- end }}
    {{- if $g.tls.clientCaSecret }}
    # 1: the kubelet, which has no certificate, may ask for health.
    - --ssl-ca-certs=/client-ca/ca.crt
    - --ssl-cert-reqs=1
    {{- end }}
    {{- range $g.extraArgs }}
    - {{ . | quote }}
    {{- end }}
  {{- with $g.env }}
  env: {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    - {name: openai, containerPort: 8080}
  startupProbe:
    httpGet: {path: /health/live, port: openai{{ $scheme }}}
    periodSeconds: 1
    timeoutSeconds: 2
    failureThreshold: 60
  # Ready: at least one Triton answers. With scale to zero the gateway must be reached without one:
  # its refusals are what wakes one up.
  readinessProbe:
    httpGet: {path: {{ ternary "/health/live" "/health/ready" (and (not (include "gemma4.sidecar" .)) .Values.autoscaling.scaleToZero) }}, port: openai{{ $scheme }}}
    periodSeconds: 2
    timeoutSeconds: 2
    failureThreshold: 2
  livenessProbe:
    httpGet: {path: /health/live, port: openai{{ $scheme }}}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 6
  lifecycle:
    preStop:
      exec:
        command: [sleep, {{ int $g.preStopSeconds | quote }}]
  securityContext: {{- include "gemma4.containerSecurity" . | nindent 4 }}
  resources: {{- toYaml $g.resources | nindent 4 }}
  volumeMounts:
    - {name: gateway-tmp, mountPath: /tmp}
    {{- if $g.responseStore.enabled }}
    - {name: responses, mountPath: /responses}
    {{- end }}
    {{- if include "gemma4.keysSecret" . }}
    - {name: keys, mountPath: /keys, readOnly: true}
    {{- end }}
    {{- if $g.limitsRedis.existingSecret }}
    - {name: limits-redis, mountPath: /limits-redis, readOnly: true}
    {{- end }}
    {{- if $g.tls.existingSecret }}
    - {name: tls, mountPath: /tls, readOnly: true}
    {{- end }}
    {{- if $g.tls.clientCaSecret }}
    - {name: client-ca, mountPath: /client-ca, readOnly: true}
    {{- end }}
{{- end -}}

{{- define "gemma4.gatewayVolumes" -}}
- name: gateway-tmp
  emptyDir: {sizeLimit: 64Mi}
{{- with .Values.gateway.responseStore }}
{{- if .enabled }}
- name: responses
  {{- if .existingClaim }}
  persistentVolumeClaim: {claimName: {{ .existingClaim }}}
  {{- else }}
  emptyDir: {sizeLimit: {{ .sizeLimit }}}
  {{- end }}
{{- end }}
{{- end }}
{{- with include "gemma4.keysSecret" . }}
- name: keys
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .Values.gateway.limitsRedis.existingSecret }}
- name: limits-redis
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .Values.gateway.tls.existingSecret }}
- name: tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .Values.gateway.tls.clientCaSecret }}
- name: client-ca
  secret: {secretName: {{ . }}, defaultMode: 0440, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- end -}}
