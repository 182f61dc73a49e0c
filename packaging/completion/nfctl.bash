# SPDX-License-Identifier: GPL-2.0-only
# bash completion for nfctl. The words come from nfctl itself, so they are always those of the installed version; names
# of agents and ports come from the relay when it answers.
_nfctl() {
  local IFS=$' \t\n' words last line found=()
  read -ra words <<<"${COMP_LINE:0:COMP_POINT}"
  [[ ${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]] && words+=("")
  last=${words[-1]}
  while IFS= read -r line; do
    if [[ $line == :file ]]; then
      compopt -o default
      COMPREPLY=()
      return
    fi
    found+=("${line%%$'\t'*}")
  done < <("${words[0]}" complete -- "${words[@]:1}" 2>/dev/null)
  # bash completes what follows the last colon only.
  if [[ $last == *:* && $COMP_WORDBREAKS == *:* ]]; then
    found=("${found[@]#"${last%"${last##*:}"}"}")
  fi
  COMPREPLY=("${found[@]}")
  if [[ ${#found[@]} -eq 1 && ${found[0]} == *: ]]; then compopt -o nospace; fi
}
complete -F _nfctl nfctl
