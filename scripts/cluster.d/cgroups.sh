# shellcheck shell=bash
# Control groups of the cluster: version 2, or version 1 with one or several hierarchies.

readonly CGROUPS=/sys/fs/cgroup
readonly CONTROLLERS_V1="cpu cpuacct cpuset memory devices freezer blkio pids name=systemd"
readonly CONTROLLERS_V2="cpuset cpu memory pids"

# Determined before the node mounts its own /sys.
CGROUP_VERSION=1
[[ $(stat -f -c %T "$CGROUPS" 2>/dev/null) != cgroup2fs ]] || CGROUP_VERSION=2
readonly CGROUP_VERSION

# Prints OPTIONS MOUNTPOINT of each version 1 hierarchy that the kubelet needs, such as
# "cpu,cpuacct /sys/fs/cgroup/cpu,cpuacct".
hierarchies() {
    local options target controller chosen
    while read -r options target; do
        chosen=
        for controller in $CONTROLLERS_V1; do
            [[ ,$options, != *,$controller,* ]] || chosen+=${chosen:+,}$controller
        done
        [[ -z $chosen ]] || echo "$chosen $target"
    done < <(findmnt --raw --noheadings --types cgroup --output FS-OPTIONS,TARGET | sort -u -k1,1)
}

# Prints the controllers that the kubelet needs and the machine lacks.
missing_controllers() {
    local controller found
    if ((CGROUP_VERSION == 2)); then
        found=" $(<"$CGROUPS/cgroup.controllers") "
        for controller in $CONTROLLERS_V2; do [[ $found == *" $controller "* ]] || echo "$controller"; done
        return
    fi
    found=,$(hierarchies | cut -d' ' -f1 | paste -sd,),
    for controller in $CONTROLLERS_V1; do [[ $found == *,$controller,* ]] || echo "$controller"; done
}

# Prints the cluster's folder in every hierarchy.
cgroup_folders() {
    local target
    if ((CGROUP_VERSION == 2)); then
        echo "$CGROUPS/$CGROUP"
        return
    fi
    while read -r _ target; do echo "$target/$CGROUP"; done < <(hierarchies)
}

make_cgroups() {
    local folder file controller
    if ((CGROUP_VERSION == 2)); then
        for controller in $CONTROLLERS_V2; do
            grep -qw "$controller" "$CGROUPS/cgroup.subtree_control" ||
                echo "+$controller" >"$CGROUPS/cgroup.subtree_control" ||
                fail "the control group controller $controller cannot be enabled in $CGROUPS"
        done
    fi
    while read -r folder; do
        mkdir -p "$folder"
        # A new cpuset accepts no process before it has CPUs and memory nodes.
        for file in cpuset.cpus cpuset.mems; do
            [[ ! -e ${folder%/*}/$file || $CGROUP_VERSION == 2 ]] || cat "${folder%/*}/$file" >"$folder/$file"
        done
    done < <(cgroup_folders)
}

join_cgroups() { # join_cgroups PID
    local folder
    while read -r folder; do echo "$1" >"$folder/cgroup.procs"; done < <(cgroup_folders)
}

# Version 2 enables no controllers below a folder with processes: all move into one leaf.
join_leaf() { # join_leaf PID...
    local pid
    ((CGROUP_VERSION == 2)) || return 0
    mkdir -p "$CGROUPS/$CGROUP/node"
    for pid in "$@"; do echo "$pid" >"$CGROUPS/$CGROUP/node/cgroup.procs"; done
}

any_exists() { # any_exists FOLDER...
    local folder
    for folder; do [[ ! -d $folder ]] || return 0; done
    return 1
}

# Kills all processes in the cluster's folders and removes the folders.
remove_cgroups() {
    local deadline=$((SECONDS + 10)) folders pid
    mapfile -t folders < <(cgroup_folders)
    while any_exists "${folders[@]}"; do
        while read -r pid; do
            ((pid == 0)) || kill -KILL "$pid" 2>/dev/null || true
        done < <(find "${folders[@]}" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u)
        find "${folders[@]}" -depth -type d -exec rmdir {} + 2>/dev/null || true
        ((SECONDS < deadline)) || { echo "cluster: cannot remove the control groups ${folders[*]}" >&2; return 1; }
        sleep 0.05
    done
}

# Mounts the cluster's folders as the node's cgroup roots.
mount_cgroups() {
    local options target controller
    if ((CGROUP_VERSION == 2)); then
        mount -t cgroup2 cgroup2 "$CGROUPS"
        until grep -qx '0::/node' /proc/self/cgroup; do sleep 0.01; done
        for controller in $CONTROLLERS_V2; do echo "+$controller" >"$CGROUPS/cgroup.subtree_control"; done
        return
    fi
    mapfile -t found < <(hierarchies)
    mount -t tmpfs cgroup "$CGROUPS"
    while read -r options target; do
        target=$CGROUPS/${options#name=}
        mkdir "$target"
        mount -t cgroup -o "${options/#name=/none,name=}" cgroup "$target"
        [[ $options != *,* ]] || for controller in ${options//,/ }; do ln -s "$options" "$CGROUPS/$controller"; done
    done < <(printf '%s\n' "${found[@]}")
}
