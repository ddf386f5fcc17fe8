{{/* Command line of the build. An engine has a folder for each such line, so that a build never
touches the engine of servers that run. */}}
{{- define "gemma4.buildOptions" -}}
{{- $b := .Values.engine.build -}}
- --runtime
- {{ $b.runtime }}
- --precision
- {{ $b.precision }}
- --slots
- {{ $b.slots | quote }}
- --max-total-tokens
- {{ $b.maxTotalTokens | quote }}
{{- if eq $b.runtime "tensorrt_llm" }}
- --gpu
- {{ $b.gpu }}
- --tp
- {{ .Values.engine.tp | quote }}
- --ep
- {{ $b.ep | default .Values.engine.tp | quote }}
- --preset
- {{ $b.preset }}
{{- end }}
{{- range $b.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "gemma4.engineKey" -}}
{{- list (include "gemma4.buildOptions" .) .Values.engine.build.checkpointClaim .Values.engine.build.checkpointSubPath (include "gemma4.image" (dict "root" . "image" .Values.triton.image)) | toJson | sha256sum | trunc 10 -}}
{{- end -}}

{{- define "gemma4.engineFolder" -}}
{{- if eq .Values.engine.source "build" -}}
/engine/{{ include "gemma4.engineKey" . }}
{{- else if eq .Values.engine.source "claim" -}}
{{ printf "/engine/%s" (trimPrefix "/" .Values.engine.path) | trimSuffix "/" }}
{{- else if eq .Values.engine.source "download" -}}
/engine/current
{{- else -}}
{{ .Values.engine.path }}
{{- end -}}
{{- end -}}

{{- define "gemma4.engineClaim" -}}
{{- default (printf "%s-engine" (include "gemma4.fullname" .)) .Values.engine.storage.existingClaim -}}
{{- end -}}

{{/* Does Triton's pod mount a volume of engines? */}}
{{- define "gemma4.engineVolume" -}}
{{- if ne .Values.engine.source "image" -}}true{{- end -}}
{{- end -}}
