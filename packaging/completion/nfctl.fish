# SPDX-License-Identifier: GPL-2.0-only
# fish completion for nfctl. The words come from nfctl itself, so they are always those of the installed version; names
# of agents and ports come from the relay when it answers.
function __nfctl_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found ($words[1] complete -- $words[2..-1] 2>/dev/null)
    if test "$found[1]" = ":file"
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $found
    end
end
complete -c nfctl -f -a '(__nfctl_complete)'
