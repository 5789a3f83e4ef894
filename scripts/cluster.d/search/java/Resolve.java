import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Arrays;

/** Resolves new outside names, one after another: how many have their address, and the median time in ms. */
public final class Resolve {
    public static void main(String[] arguments) {
        int count = Integer.parseInt(arguments[1]);
        String[] domains = {"com", "net", "org"};
        double[] times = new double[count];
        int answered = 0;
        for (int number = 0; number < count; number++) {
            String name = arguments[0] + number + ".example." + domains[number % 3];
            long begin = System.nanoTime();
            try {
                InetAddress[] found = InetAddress.getAllByName(name);
                if (found.length == 1 && found[0].getHostAddress().startsWith("1")) {
                    answered++;
                }
            } catch (UnknownHostException e) {
                // Counted as not answered.
            }
            times[number] = (System.nanoTime() - begin) / 1e6;
        }
        Arrays.sort(times);
        System.out.printf("%d %.3f%n", answered, times[count / 2]);
    }
}
