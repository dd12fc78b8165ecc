# shellcheck shell=sh
# Runs the tests of requirement 20 under this kernel, on ext4 and in memory.
mkdir -p /disk/tmp
mount --bind /disk/tmp /tmp
for test in /tests/*; do
	# What they report goes to the console at once, past the output of the test harness.
	"$test" requirement_20 --test-threads 1 >/printed
	echo "ended $? ${test##*/} $(sed -n 's/^test result: //p' /printed)"
	cat /printed
done
