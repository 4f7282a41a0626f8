# What the first process of a machine made of a container image does, whoever listens to its command:
# starts it, asks it to end, and leaves the machine clean behind it. For sbin/supervise and sbin/relay.
use strict;
use warnings;

# Linux numbers, so that no library module has to be loaded.
my ($SYS_MOUNT, $SYS_REBOOT, $SYS_UNSHARE) = (165, 169, 272);
my ($SYS_SETGROUPS, $SYS_SETRESUID, $SYS_SETRESGID, $SYS_SYNC) = (116, 117, 119, 162);
my ($MS_MOVE, $MS_RDONLY, $MS_REMOUNT, $CLONE_NEWNS) = (8192, 1, 32, 0x20000);
my $ENOENT = 2;
my ($REBOOT_MAGIC1, $REBOOT_MAGIC2, $POWER_OFF) = (0xfee1dead, 672274793, 0x4321fedc);
# Where the disk is, when there is one.
my $ROOT = '/root';
# A system call may not be given a text that cannot be written to.
my ($HERE, $SLASH, $NONE) = ('.', '/', 'none');
my @REQUESTS = qw(TERM INT USR1 USR2 PWR);
my $HAS_DISK = -b '/dev/vda';

my %spec;
{
    open(my $file, '<', '/etc/understudy/spec') or die "no spec: $!";
    local $/;
    my @fields = split /\0/, <$file>, -1;
    while (@fields > 1) {
        my ($key, $value) = splice @fields, 0, 2;
        push @{ $spec{$key} }, $value;
    }
}
sub one { return $spec{$_[0]}[0] }

# Becomes the command. `$connect` gives it its streams, when its root is the image's and it is still
# root; `$who` begins what is said of a command that cannot be started.
sub run_command {
    my ($who, $connect) = @_;
    $SIG{$_} = 'DEFAULT' for @REQUESTS, 'ALRM', 'TTOU', 'CHLD', 'PIPE';
    my ($uid, $gid) = (one('uid') + 0, one('gid') + 0);
    my @groups = map { $_ + 0 } $gid, @{ $spec{group} || [] };
    my $group_list = pack 'L*', @groups;
    if ($HAS_DISK) {
        # What the command mounts is its own, and its disk is the root, as if there were no other.
        syscall($SYS_UNSHARE, $CLONE_NEWNS) == 0 or die "unshare: $!";
        chdir $ROOT or die "chdir: $!";
        syscall($SYS_MOUNT, $HERE, $SLASH, 0, $MS_MOVE, 0) == 0 or die "mount: $!";
        chroot '.' or die "chroot: $!";
    }
    chdir '/' or die "chdir: $!";
    $connect->($uid);
    my $made = '';
    for my $part (grep { $_ ne '' } split m{/}, one('cwd')) {
        $made .= "/$part";
        mkdir $made, 0755;
    }
    umask 022;
    syscall($SYS_SETGROUPS, scalar @groups, $group_list) == 0 or die "setgroups: $!";
    syscall($SYS_SETRESGID, $gid, $gid, $gid) == 0 or die "setresgid: $!";
    syscall($SYS_SETRESUID, $uid, $uid, $uid) == 0 or die "setresuid: $!";
    unless (chdir one('cwd')) {
        print STDERR "$who: cannot enter '" . one('cwd') . "': $!\n";
        exit 126;
    }
    %ENV = map { split /=/, $_, 2 } @{ $spec{env} || [] };
    my @words = @{ $spec{arg} };
    { no warnings; exec { $words[0] } @words; }
    my $code = $! == $ENOENT ? 127 : 126;
    print STDERR "$who: cannot run '$words[0]': $!\n";
    exit $code;
}

# A request to this process becomes the image's stop signal to the command; after its patience the
# command is ended by force. `$command` tells its process, 0 while there is none.
sub pass_requests {
    my ($command) = @_;
    my $is_asked = 0;
    for my $signal (@REQUESTS) {
        $SIG{$signal} = sub {
            return if $is_asked++;
            kill one('stop') + 0, $command->() if $command->();
            alarm(one('patience') || 1);
        };
    }
    $SIG{ALRM} = sub { kill 'KILL', $command->() if $command->() };
}

# As a shell has it.
sub code_of {
    my ($status) = @_;
    return $status & 127 ? 128 + ($status & 127) : $status >> 8;
}

# Ends all that is left of it.
sub end_all {
    kill 'KILL', -1;
    while (waitpid(-1, 0) > 0) { }
}

sub leave_disks_clean {
    syscall($SYS_SYNC);
    return unless $HAS_DISK;
    # Read-only is clean, wherever it is mounted besides. Those within others come first.
    for my $volume ((reverse @{ $spec{volume} || [] }), '') {
        my $place = "$ROOT$volume";
        syscall($SYS_MOUNT, $NONE, $place, 0, $MS_REMOUNT | $MS_RDONLY, 0);
    }
}

sub switch_off {
    syscall($SYS_REBOOT, $REBOOT_MAGIC1, $REBOOT_MAGIC2, $POWER_OFF, 0);
    sleep 1 while 1;
}

1;
